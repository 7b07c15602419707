import type { Command } from 'commander';
export function registerRehearse(offline: Command): void {
  void offline;
}
