import type { FastifyError } from 'fastify';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';
import { CortexError } from '../../../contract/errors.ts';

/** The error to answer with; null where it is a fault of ours, which is logged and answered with internal_error. */
export function toCortexError(error: unknown, bodyLimitBytes: number): CortexError | null {
  if (error instanceof CortexError) return error;
  if (!(error instanceof Error)) return null;
  if (hasZodFastifySchemaValidationErrors(error)) {
    const [first] = error.validation;
    const field = (first?.instancePath ?? '').split('/').filter(Boolean).join('.');
    const detail = `${field || (error.validationContext ?? 'body')}: ${first?.message ?? 'not valid'}`;
    return new CortexError('invalid_request', { detail }, { cause: error, ...(field ? { param: field } : {}) });
  }
  const { code, statusCode } = error as FastifyError;
  if (isDatabaseGone(code)) return new CortexError('database_unavailable', { reason: error.message }, { cause: error });
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return new CortexError('body_too_large', { limitBytes: bodyLimitBytes }, { cause: error });
  }
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new CortexError('invalid_request', { detail: error.message }, { cause: error });
  }
  return null;
}

/** Postgres's classes for a broken connection (08) and a server that is stopping (57P), and pg's own for one that is not there. */
const isDatabaseGone = (code: unknown): boolean =>
  typeof code === 'string' && /^(08...|57P..|ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_AGAIN)$/.test(code);
