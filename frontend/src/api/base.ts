/**
 * Where programs reach the gateway, as code samples show it: this page's own origin, whose server answers /v1 too. That holds
 * whatever ports are published and whichever proxy stands in front.
 */
export const apiBase = (): string => `${location.origin}/v1`;
