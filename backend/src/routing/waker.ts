export interface WakeRules {
  /** So many requests may wait for the model to be loaded. */
  readonly queueLimit: number;
  /** 0: as long as it takes. */
  readonly queueTimeoutMs: number;
}

/** Has models loaded that requests wait for. */
export interface ModelWaker {
  /**
   * Resolves when the routing table has an endpoint of the model.
   * @param gone aborts where the client leaves
   * @throws CortexError queue_full at once, queue_timeout, model_not_ready where it could not be loaded
   */
  wake(servedName: string, rules: WakeRules, gone: AbortSignal): Promise<void>;
}
