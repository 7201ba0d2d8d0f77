import { Body, type PipeTransform, Query } from '@nestjs/common';
import type { z } from 'zod';
import { parseInput } from '../domain/problem.ts';

class InputPipe implements PipeTransform {
  constructor(
    private readonly schema: z.ZodType,
    private readonly root: string,
  ) {}

  transform(value: unknown): unknown {
    // No body at all stands for an empty one: what is required in it is then named field by field.
    return parseInput(this.schema, value ?? {}, this.root);
  }
}

/** The request's body, checked. */
export const Checked = (route: { readonly body: { readonly schema: z.ZodType } }): ParameterDecorator =>
  Body(new InputPipe(route.body.schema, ''));

/** The request's query, checked. */
export const CheckedQuery = (route: { readonly query: z.ZodType }): ParameterDecorator =>
  Query(new InputPipe(route.query, '#query'));
