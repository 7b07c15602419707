import type { OfflinePolicy } from '../../../contract/offline-policy.ts';
import { formatAgo } from '../format.ts';
import { Card, Facts } from './page.tsx';
import { Status } from './status.tsx';

const modes: Record<OfflinePolicy['mode'], { word: string; reason: string }> = {
  on: { word: 'on', reason: 'OFFLINE_MODE: images are never pulled, and no registry is asked' },
  detected: { word: 'detected', reason: 'no registry answers Docker: only images that are here are used' },
  off: { word: 'off', reason: 'an image that is missing is pulled' },
};

/** Whether images may be pulled, by which setting, and what the registries said. */
export function OfflinePolicyCard({ policy }: { policy: OfflinePolicy }) {
  const { word, reason } = modes[policy.mode];
  const strict = policy.mode === 'off' && policy.require_image_precache;
  return (
    <Card title="Offline mode">
      <Facts
        facts={[
          ['State', <Status key="state" mark={policy.mode === 'off' ? '○' : '●'} word={word} tone="muted" />],
          ['So', strict ? 'REQUIRE_IMAGE_PRECACHE: only images that are here are used' : reason],
          ['Auto-detect', policy.auto_detect ? 'on' : 'off'],
          ['Longest pull', `${policy.image_pull_timeout_seconds} s`],
          ...policy.registries.map(
            (registry) =>
              [
                registry.registry,
                <span key={registry.image} title={`asked ${formatAgo(registry.asked_at)} for ${registry.image}`}>
                  {registry.answers ? (
                    <Status mark="●" word="answers" tone="ok" />
                  ) : (
                    <>
                      <Status mark="▲" word="does not answer" tone="warn" />
                      <span className="block text-xs break-words text-muted">{registry.reason}</span>
                    </>
                  )}
                </span>,
              ] as const,
          ),
        ]}
      />
    </Card>
  );
}
