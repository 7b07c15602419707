/**
 * Variables that keep an engine from calling anybody. The network has no way out in any case; these spare it the attempts,
 * and the waiting for them. Where they are told: docs.vllm.ai/en/stable/usage/usage_stats (VLLM_NO_USAGE_STATS,
 * DO_NOT_TRACK), vllm/envs.py (VLLM_DO_NOT_TRACK), huggingface.co/docs/huggingface_hub/package_reference/environment_variables
 * (HF_HUB_OFFLINE, HF_HUB_DISABLE_TELEMETRY), huggingface.co/docs/transformers/installation#offline-mode
 * (TRANSFORMERS_OFFLINE), huggingface.co/docs/datasets/loading#offline (HF_DATASETS_OFFLINE),
 * docs.ray.io/en/latest/cluster/usage-stats.html (RAY_USAGE_STATS_ENABLED; vLLM runs several machines' GPUs with Ray).
 */
export const quietVariables: readonly string[] = [
  'HF_HUB_OFFLINE=1',
  'TRANSFORMERS_OFFLINE=1',
  'HF_DATASETS_OFFLINE=1',
  'HF_HUB_DISABLE_TELEMETRY=1',
  'VLLM_NO_USAGE_STATS=1',
  'VLLM_DO_NOT_TRACK=1',
  'DO_NOT_TRACK=1',
  'RAY_USAGE_STATS_ENABLED=0',
];
