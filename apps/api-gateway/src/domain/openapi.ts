import { z } from 'zod';
import { ProblemSchema } from './problem.ts';
import type { NamedSchema, Route } from './route.ts';

type Json = Record<string, unknown>;

/** The OpenAPI 3.1 document of the routes. Pure: the same routes give the same document. */
export function openApiDocument(routes: readonly Route[], info: { version: string; server: string }): Json {
  const schemas: Record<string, Json> = { Problem: jsonSchema(ProblemSchema, 'output') };
  const paths: Record<string, Json> = {};
  const reference = (named: NamedSchema, io: 'input' | 'output'): Json => {
    schemas[named.name] ??= jsonSchema(named.schema, io);
    return { $ref: `#/components/schemas/${named.name}` };
  };
  for (const route of routes) {
    const path = route.path.replace(/:(\w+)/g, '{$1}');
    const operations = paths[path] ?? {};
    paths[path] = operations;
    operations[route.method.toLowerCase()] = operation(route, reference);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Understudy',
      version: info.version,
      description:
        'One server of a highly available pair. Errors are application/problem+json (RFC 9457). Long work answers 202 with an ' +
        'operation whose progress is a resource of its own.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: info.server }],
    paths,
    components: {
      schemas,
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'Token of POST /api/v1/auth/login' },
        cookie: { type: 'apiKey', in: 'cookie', name: '__Host-understudy-session' },
      },
    },
    security: [{ bearer: [] }, { cookie: [] }],
  };
}

function operation(route: Route, reference: (named: NamedSchema, io: 'input' | 'output') => Json): Json {
  const problem = (status: number): [string, Json] => [
    String(status),
    {
      description: 'Problem',
      content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
    },
  ];
  const common = route.access === 'session' ? [401, 503] : [503];
  const statuses = [...new Set([...common, ...(route.problems ?? []), ...(route.body ? [400, 413, 415, 422] : [])])];
  const body = route.reply
    ? { 'application/json': { schema: reference(route.reply, 'output') } }
    : route.media && { [route.media.split(';')[0] as string]: { schema: { type: 'string' } } };
  return {
    tags: [route.tag],
    summary: route.summary,
    ...(route.access === 'open' ? { security: [] } : {}),
    ...parameters(route),
    ...(route.body
      ? {
          requestBody: {
            required: !accepts(route.body.schema, {}),
            content: { 'application/json': { schema: reference(route.body, 'input') } },
          },
        }
      : {}),
    responses: {
      [route.status]: { description: 'Done', ...(body ? { content: body } : {}) },
      ...Object.fromEntries(statuses.sort((a, b) => a - b).map(problem)),
    },
  };
}

function parameters(route: Route): Json {
  const inPath = [...route.path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
  const inQuery = Object.entries(route.query?.shape ?? {}).map(([name, schema]) => ({
    name,
    in: 'query',
    required: !accepts(schema as z.ZodType, undefined),
    schema: jsonSchema(schema as z.ZodType, 'input'),
  }));
  const all = [...inPath, ...inQuery];
  return all.length > 0 ? { parameters: all } : {};
}

function accepts(schema: z.ZodType, value: unknown): boolean {
  return schema.safeParse(value).success;
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' }) as Json;
  return rest;
}
