import { useQuery } from '@tanstack/react-query';
import type { Model } from '../../../contract/models.ts';
import { queries } from '../api/queries.ts';
import { MemoryPlanCard } from './memory-plan.tsx';
import { MemoryReportCard } from './memory-report.tsx';
import { Card, Failure, Skeleton } from './page.tsx';

/** A model's memory: the plan of its next start, and what its engine said at the last one. */
export function ModelMemory({ model }: { model: Model }) {
  const memory = useQuery(queries.memory(model.id, model.state));
  if (memory.isPending) return <Skeleton rows={2} />;
  if (memory.isError) return <Failure error={memory.error} retry={() => void memory.refetch()} />;
  const { plan, report } = memory.data;
  return (
    <>
      {plan === null ? (
        <Card title="Memory plan">
          <p className="text-muted">The model's files don't tell its layers, so its memory can't be planned.</p>
        </Card>
      ) : (
        <MemoryPlanCard plan={plan} />
      )}
      <MemoryReportCard report={report} />
    </>
  );
}
