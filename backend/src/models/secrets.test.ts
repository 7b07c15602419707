import { expect, it } from 'vitest';
import { shownArguments, shownVariables } from './secrets.ts';

it('shows arguments without secrets', () => {
  expect(
    shownArguments(['--x-token', 'abc', '--y-secret=a=b', '--max-num-batched-tokens', '5', '--tokenizer', '/m']),
  ).toEqual(['--x-token', '‹hidden›', '--y-secret=‹hidden›', '--max-num-batched-tokens', '5', '--tokenizer', '/m']);
  expect(shownArguments(['--x-key', '--other'])).toEqual(['--x-key', '--other']);
});

it('shows variables without secrets', () => {
  expect(shownVariables({ MY_API_KEY: 'a', DB_PASSWORD: 'b', COLOUR: 'green' })).toEqual({
    MY_API_KEY: '‹hidden›',
    DB_PASSWORD: '‹hidden›',
    COLOUR: 'green',
  });
});
