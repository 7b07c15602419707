import { describe, expect, it } from 'vitest';
import { decidePull } from './offline-policy.ts';

const yes = true;
const no = false;

/**
 * The guide's settings, every combination. Offline: "Prevent all internet access for images". Precache: "Strict: only
 * cached images allowed". Auto-detect: "When online: Pulls images automatically. When offline: Uses cached images only".
 * With all three off the guide lets Docker try, so a pull that can't work fails in Docker's own words.
 */
const table: [
  offline: boolean,
  autoDetect: boolean,
  precache: boolean,
  cached: boolean,
  answers: boolean,
  is: string,
][] = [
  [no, no, no, no, no, 'pull'],
  [no, no, no, no, yes, 'pull'],
  [no, no, no, yes, no, 'use'],
  [no, no, no, yes, yes, 'use'],
  [no, no, yes, no, no, 'refuse: precache'],
  [no, no, yes, no, yes, 'refuse: precache'],
  [no, no, yes, yes, no, 'use'],
  [no, no, yes, yes, yes, 'use'],
  [no, yes, no, no, no, 'refuse: detected offline'],
  [no, yes, no, no, yes, 'pull'],
  [no, yes, no, yes, no, 'use'],
  [no, yes, no, yes, yes, 'use'],
  [no, yes, yes, no, no, 'refuse: precache'],
  [no, yes, yes, no, yes, 'refuse: precache'],
  [no, yes, yes, yes, no, 'use'],
  [no, yes, yes, yes, yes, 'use'],
  [yes, no, no, no, no, 'refuse: offline'],
  [yes, no, no, no, yes, 'refuse: offline'],
  [yes, no, no, yes, no, 'use'],
  [yes, no, no, yes, yes, 'use'],
  [yes, no, yes, no, no, 'refuse: offline'],
  [yes, no, yes, no, yes, 'refuse: offline'],
  [yes, no, yes, yes, no, 'use'],
  [yes, no, yes, yes, yes, 'use'],
  [yes, yes, no, no, no, 'refuse: offline'],
  [yes, yes, no, no, yes, 'refuse: offline'],
  [yes, yes, no, yes, no, 'use'],
  [yes, yes, no, yes, yes, 'use'],
  [yes, yes, yes, no, no, 'refuse: offline'],
  [yes, yes, yes, no, yes, 'refuse: offline'],
  [yes, yes, yes, yes, no, 'use'],
  [yes, yes, yes, yes, yes, 'use'],
];

describe('whether an image is pulled', () => {
  it.each(table)('OFFLINE_MODE=%s AUTO_DETECT=%s PRECACHE=%s cached=%s registry answers=%s: %s', async (...row) => {
    const [OFFLINE_MODE, OFFLINE_MODE_AUTO_DETECT, REQUIRE_IMAGE_PRECACHE, cached, answers, expected] = row;
    let asked = 0;
    const policy = { OFFLINE_MODE, OFFLINE_MODE_AUTO_DETECT, REQUIRE_IMAGE_PRECACHE, IMAGE_PULL_TIMEOUT: 600 };
    const decision = await decidePull(policy, cached, () => {
      asked += 1;
      return Promise.resolve(answers);
    });
    expect(decision).toBe(expected);
    // A registry is asked only where its answer decides: an offline machine sends nothing.
    const decides = !cached && !OFFLINE_MODE && !REQUIRE_IMAGE_PRECACHE && OFFLINE_MODE_AUTO_DETECT;
    expect(asked).toBe(decides ? 1 : 0);
  });
});
