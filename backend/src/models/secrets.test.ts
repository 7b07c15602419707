import { expect, it } from 'vitest';
import { revealedArguments, revealedVariables, shownArguments, shownVariables } from './secrets.ts';

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

it('finds what was hidden again, in whichever order it comes back', () => {
  const kept = ['--a-token', 'one', '--b-key=two', '--a-token', 'three'];
  expect(revealedArguments(shownArguments(kept), kept)).toEqual(kept);
  expect(revealedArguments(['--b-key', '‹hidden›', '--a-token=new', '--a-token=‹hidden›'], kept)).toEqual([
    ...['--b-key', 'two', '--a-token=new', '--a-token=three'],
  ]);
  expect(() => revealedArguments(['--c-key', '‹hidden›'], kept)).toThrow('--c-key');
  expect(revealedVariables({ A_KEY: '‹hidden›', B_KEY: 'new' }, { A_KEY: 'old', B_KEY: 'old' })).toEqual({
    A_KEY: 'old',
    B_KEY: 'new',
  });
});
