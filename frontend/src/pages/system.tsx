import { useQuery } from '@tanstack/react-query';
import type { ImageStatus, SystemSummary } from '../../../contract/system.ts';
import { queries } from '../api/queries.ts';
import { GpuList } from '../components/gpu-list.tsx';
import { ImagePulls } from '../components/image-pulls.tsx';
import { OfflinePolicyCard } from '../components/offline-policy.tsx';
import { Card, Facts, Failure, Page, Skeleton, Table } from '../components/page.tsx';
import { Status } from '../components/status.tsx';
import { formatAgo, formatBytes } from '../format.ts';

export function System() {
  const summary = useQuery(queries.summary);
  const images = useQuery(queries.images);
  return (
    <Page title="System" lead="Docker, images, database and this machine.">
      {summary.isPending ? <Skeleton /> : null}
      {summary.isError ? <Failure error={summary.error} retry={() => void summary.refetch()} /> : null}
      {summary.data ? <Summary summary={summary.data} /> : null}
      <h2 className="text-base font-semibold">GPUs</h2>
      <GpuList />
      <h2 className="text-base font-semibold">Images</h2>
      <ImagePulls />
      {images.isPending ? <Skeleton /> : null}
      {images.isError ? <Failure error={images.error} retry={() => void images.refetch()} /> : null}
      {images.data ? (
        <>
          <Card>
            {images.data.offline_ready ? (
              <Status mark="●" word="ready for offline operation" tone="ok" />
            ) : (
              <Status mark="▲" word="not ready for offline operation" tone="bad" />
            )}
            <ul className="mt-2 space-y-1 text-muted">
              {images.data.recommendations.map((line) => (
                <li key={line}>{line}</li>
              ))}
            </ul>
          </Card>
          <Table
            label="Images"
            head={[
              { name: 'Image' },
              { name: 'For' },
              { name: 'Role' },
              { name: 'Size', right: true },
              { name: 'State' },
            ]}
          >
            {[images.data.engines.vllm, images.data.engines.llamacpp, ...images.data.infrastructure].map((image) => (
              <ImageRow key={image.image} image={image} />
            ))}
          </Table>
        </>
      ) : null}
    </Page>
  );
}

const identities: Record<
  ImageStatus['identity'],
  { mark: string; word: string; tone: 'ok' | 'warn' | 'bad' | 'muted' }
> = {
  matches: { mark: '●', word: 'as packed', tone: 'ok' },
  unknown: { mark: '●', word: 'there', tone: 'ok' },
  differs: { mark: '▲', word: 'another image', tone: 'bad' },
  absent: { mark: '○', word: 'not there', tone: 'muted' },
};

function ImageRow({ image }: { image: ImageStatus }) {
  return (
    <tr>
      <td className="px-3 py-2 font-mono text-xs">{image.image}</td>
      <td className="px-3 py-2">{image.purpose}</td>
      <td className="px-3 py-2 text-muted">{image.role}</td>
      <td className="px-3 py-2 text-right whitespace-nowrap">
        {image.size_mb === null ? '–' : formatBytes(image.size_mb * 1_048_576)}
      </td>
      <td className="px-3 py-2">
        <Status {...identities[image.identity]} reason={image.role === 'optional' ? null : image.warning} />
      </td>
    </tr>
  );
}

function Summary({ summary }: { summary: SystemSummary }) {
  const { docker, host, database } = summary;
  return (
    <div className="grid gap-4 lg:grid-cols-2">
      <Card title="Docker Engine">
        {docker.available ? (
          <Facts
            facts={[
              ['State', <Status key="state" mark="●" word="running" tone="ok" />],
              ['Version', docker.version],
              ['Image store', docker.image_store],
              [
                'Address',
                <span key="address" className="font-mono text-xs">
                  {docker.address}
                </span>,
              ],
            ]}
          />
        ) : (
          <div role="alert" className="space-y-1">
            <p className="font-medium text-bad">▲ {docker.problem}</p>
            <p className="text-muted">{docker.hint}</p>
            <p className="text-muted">Without Docker this page, keys and users work; models can't be started.</p>
          </div>
        )}
      </Card>
      <Card title="Cortex">
        <Facts
          facts={[
            ['Version', summary.version],
            [
              'Running since',
              <span key="since" title={summary.started_at}>
                {formatAgo(summary.started_at)}
              </span>,
            ],
            [
              'Database',
              `${database.kind === 'embedded' ? 'embedded' : 'Postgres server'}${database.ok ? '' : ' (does not answer)'}`,
            ],
            [
              'Models folder',
              <span key="dir" className="font-mono text-xs">
                {summary.models_dir}
              </span>,
            ],
          ]}
        />
      </Card>
      <OfflinePolicyCard policy={summary.offline} />
      <Card title="This machine">
        <Facts
          facts={[
            ['Name', host.hostname],
            ['Processor', `${host.cpus} cores, ${Math.round(host.cpu_percent)} % in use`],
            ['Memory', `${formatBytes(host.memory_used_bytes)} of ${formatBytes(host.memory_total_bytes)} in use`],
            [
              'Disk',
              host.disk_free_bytes === null
                ? 'unknown'
                : `${formatBytes(host.disk_free_bytes)} free of ${formatBytes(host.disk_total_bytes ?? 0)}`,
            ],
          ]}
        />
      </Card>
    </div>
  );
}
