import { useQuery } from '@tanstack/react-query';
import type { Gpu } from '../../../contract/memory.ts';
import { queries } from '../api/queries.ts';
import { formatGib } from '../format.ts';
import { Card, Failure, Skeleton, Table } from './page.tsx';

const sources = {
  dcgm: "NVIDIA's DCGM exporter",
  'nvidia-smi': 'nvidia-smi',
  docker: 'Docker',
  none: 'nobody',
};

/** The GPUs of the machine, what they have free, and which models hold them. */
export function GpuList() {
  const gpus = useQuery(queries.gpus);
  if (gpus.isPending) return <Skeleton rows={2} />;
  if (gpus.isError) return <Failure error={gpus.error} retry={() => void gpus.refetch()} />;
  const { source, usable, gpus: found, reservations } = gpus.data;
  if (source === 'none')
    return (
      <Card>
        <p className="text-muted">
          None seen: llama.cpp runs on the CPU. vLLM needs an NVIDIA GPU and its container toolkit.
        </p>
      </Card>
    );
  if (source === 'docker')
    return (
      <Card>
        <p className="text-muted">
          Docker has NVIDIA's runtime, and nothing tells how many GPUs there are: each model gets all of them. With the
          DCGM exporter of the package, or nvidia-smi beside Cortex, models are given GPUs one by one.
        </p>
      </Card>
    );
  const holders = ({ uuid }: Gpu) =>
    reservations.flatMap(({ served_name, shares }) =>
      shares.filter((share) => share.uuid === uuid).map(({ bytes }) => `${served_name} ${formatGib(bytes)}`),
    );
  return (
    <div className="space-y-2">
      {usable === false ? (
        <p className="text-warn">
          ▲ Docker has no NVIDIA runtime, so models can't use these GPUs: install NVIDIA's container toolkit.
        </p>
      ) : null}
      <Table
        label="GPUs"
        head={[
          { name: 'GPU' },
          { name: 'Memory', right: true },
          { name: 'Used', right: true },
          { name: 'Free', right: true },
          { name: 'Busy', right: true },
          { name: 'Driver' },
          { name: 'Held by models' },
        ]}
      >
        {found.map((gpu) => (
          <tr key={gpu.uuid}>
            <td className="px-3 py-2 whitespace-nowrap" title={gpu.uuid}>
              {gpu.index} · {gpu.name}
            </td>
            <td className="px-3 py-2 text-right whitespace-nowrap">{formatGib(gpu.total_bytes)}</td>
            <td className="px-3 py-2 text-right whitespace-nowrap">{formatGib(gpu.used_bytes)}</td>
            <td className="px-3 py-2 text-right whitespace-nowrap">{formatGib(gpu.free_bytes)}</td>
            <td className="px-3 py-2 text-right whitespace-nowrap">
              {gpu.utilization_percent === null ? '–' : `${Math.round(gpu.utilization_percent)} %`}
            </td>
            <td className="px-3 py-2 text-muted">{gpu.driver_version ?? '–'}</td>
            <td className="px-3 py-2">{holders(gpu).join(', ') || '–'}</td>
          </tr>
        ))}
      </Table>
      <p className="text-xs text-muted">Told by {sources[source]}.</p>
    </div>
  );
}
