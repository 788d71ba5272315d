import type { Handler, Link } from '../contract.ts';

/** The links of a request's way, in this order. Each may answer, refuse by throwing, or hand on. */
export interface ChainLinks {
  /** Outermost: whatever is thrown below becomes a Status, and one request's failure never reaches another. */
  readonly guard: Link;
  /** Reads the raw target before anything decides by it. */
  readonly requestInfo: Link;
  readonly authentication: Link;
  /** After authentication, so that events name a user; before everything that may refuse, so that refusals are audited. */
  readonly audit: Link;
  /** Before impersonation: places are given by who really asks. */
  readonly flowControl: Link;
  readonly impersonation: Link;
  readonly authorization: Link;
}

/** One handler made of the chain and the router at its end. */
export function composeChain(links: ChainLinks, router: Handler): Handler {
  const order: Link[] = [
    links.guard,
    links.requestInfo,
    links.authentication,
    links.audit,
    links.flowControl,
    links.impersonation,
    links.authorization,
  ];
  return order.reduceRight<Handler>((next, link) => (request) => link(request, next), router);
}

/** A link that only hands on. */
export const noLink: Link = (request, next) => next(request);
