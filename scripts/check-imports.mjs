// Holds the walls between the rooms. A tool that reads no module would report success, so fewer than the floor is a failure.
import { cruise } from 'dependency-cruiser';
import config from '../.dependency-cruiser.cjs';

const rooms = ['contract', 'docker', 'offline', 'backend/src', 'cli', 'frontend/src'];
const floor = 100;

const { output } = await cruise(rooms, { ...config.options, ruleSet: { forbidden: config.forbidden }, validate: true });
const ours = output.modules.filter(({ source }) => rooms.some((room) => source.startsWith(`${room}/`)));
for (const { rule, from, to } of output.summary.violations) console.error(`${rule.name}: ${from} → ${to}`);
console.log(`imports: ${ours.length} modules, ${output.summary.violations.length} violations`);
if (ours.length < floor) console.error(`Only ${ours.length} modules were read; ${floor} is the floor.`);
process.exit(output.summary.violations.length > 0 || ours.length < floor ? 1 : 0);
