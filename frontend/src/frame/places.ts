import {
  Activity,
  Boxes,
  Gauge,
  KeyRound,
  type LucideIcon,
  MessageSquare,
  NotebookText,
  ScanSearch,
  Server,
  Waypoints,
} from 'lucide-react';
import type { Right } from '../../../contract/rights.ts';

export interface Place {
  readonly to:
    | '/models'
    | '/recipes'
    | '/routing'
    | '/playground'
    | '/keys'
    | '/limits'
    | '/usage'
    | '/inspector'
    | '/system';
  readonly name: string;
  readonly icon: LucideIcon;
  /** Who lacks it does not see the place. */
  readonly right: Right;
}

/** The pages that the rail leads to, in its order. */
export const places: readonly Place[] = [
  { to: '/models', name: 'Models', icon: Boxes, right: 'models:read' },
  { to: '/recipes', name: 'Recipes', icon: NotebookText, right: 'models:write' },
  { to: '/routing', name: 'Routing', icon: Waypoints, right: 'models:write' },
  { to: '/playground', name: 'Playground', icon: MessageSquare, right: 'chat' },
  { to: '/keys', name: 'API keys', icon: KeyRound, right: 'keys:read' },
  { to: '/limits', name: 'Limits', icon: Gauge, right: 'keys:read' },
  { to: '/usage', name: 'Usage', icon: Activity, right: 'usage:read' },
  { to: '/inspector', name: 'Inspector', icon: ScanSearch, right: 'requests:inspect' },
  { to: '/system', name: 'System', icon: Server, right: 'system:read' },
];
