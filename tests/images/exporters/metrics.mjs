// Replays the metric names of an exporter that cannot run here: DCGM needs an NVIDIA GPU, and Debian does not carry cAdvisor.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

const [kind, port] = process.argv.slice(2);
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(0));
const row = (name, type, help, labels, value) =>
  `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${name}{${labels}} ${value}\n`;

function dcgm() {
  const gpu =
    'gpu="0",UUID="GPU-00000000-0000-0000-0000-000000000000",device="nvidia0",modelName="Stand-in GPU",Hostname="stand-in"';
  return [
    ['DCGM_FI_DEV_SM_CLOCK', 'SM clock frequency (in MHz).', 1410],
    ['DCGM_FI_DEV_MEM_CLOCK', 'Memory clock frequency (in MHz).', 1215],
    ['DCGM_FI_DEV_GPU_TEMP', 'GPU temperature (in C).', 41],
    ['DCGM_FI_DEV_POWER_USAGE', 'Power draw (in W).', 62.5],
    ['DCGM_FI_DEV_GPU_UTIL', 'GPU utilization (in %).', 7],
    ['DCGM_FI_DEV_MEM_COPY_UTIL', 'Memory utilization (in %).', 3],
    ['DCGM_FI_DEV_FB_FREE', 'Frame buffer memory free (in MB).', 38912],
    ['DCGM_FI_DEV_FB_USED', 'Frame buffer memory used (in MB).', 2048],
    ['DCGM_FI_DEV_XID_ERRORS', 'Value of the last XID error encountered.', 0],
  ]
    .map(([name, help, value]) => row(name, 'gauge', help, gpu, value))
    .join('');
}

function cadvisor() {
  const memory = process.memoryUsage.rss();
  const cpu = process.cpuUsage();
  const bootSeconds = Number(readFileSync('/proc/stat', 'utf8').match(/^btime (\d+)/m)?.[1] ?? 0);
  return [
    row('container_memory_usage_bytes', 'gauge', 'Current memory usage in bytes.', 'id="/",name=""', memory),
    row('container_memory_working_set_bytes', 'gauge', 'Current working set in bytes.', 'id="/",name=""', memory),
    row(
      'container_cpu_usage_seconds_total',
      'counter',
      'Cumulative cpu time consumed in seconds.',
      'id="/",cpu="total"',
      (cpu.user + cpu.system) / 1e6,
    ),
    row(
      'container_start_time_seconds',
      'gauge',
      'Start time of the container since unix epoch in seconds.',
      'id="/"',
      bootSeconds,
    ),
    row(
      'container_last_seen',
      'gauge',
      'Last time a container was seen by the exporter',
      'id="/"',
      Math.floor(Date.now() / 1000),
    ),
    row('cadvisor_version_info', 'gauge', 'cAdvisor version.', 'cadvisorVersion="stand-in"', 1),
  ].join('');
}

const pages = { dcgm, cadvisor };
createServer((request, response) => {
  if (request.url === '/health' || request.url === '/healthz') return response.end('ok');
  if (request.url !== '/metrics') return response.writeHead(404).end();
  response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(pages[kind]());
}).listen(Number(port), '0.0.0.0', () => console.error(`stand-in ${kind} exporter is listening on :${port}`));
