/**
 * The shape of the handlers: one for each route of the contract's table, so that a missing or wrong one is a
 * compile error.
 */
import type { RouteName, Routes } from '@varve/contract/routes';
import type { z } from 'zod';

import type { Caller } from './access/caller.ts';
import type { Creation } from '../reactor/messages.ts';

/** A request after the checks against its route. */
export interface HandlerInput<Name extends RouteName> {
  readonly params: z.output<Routes[Name]['params']>;
  readonly query: z.output<Routes[Name]['query']>;
  readonly body: Routes[Name]['body'] extends z.ZodType
    ? z.output<Routes[Name]['body']>
    : undefined;
  readonly caller: Caller;
}

type ReplyOf<Name extends RouteName> = Routes[Name]['reply'] extends z.ZodType
  ? z.output<Routes[Name]['reply']>
  : undefined;

/** What a handler answers: a creation says whether it made the object. */
export type HandlerResult<Name extends RouteName> = Routes[Name]['creates'] extends true
  ? Creation<ReplyOf<Name>>
  : ReplyOf<Name>;

/** The handlers of some routes. */
export type RouteHandlers<Names extends RouteName = RouteName> = {
  readonly [Name in Names]: (input: HandlerInput<Name>) => Promise<HandlerResult<Name>>;
};
