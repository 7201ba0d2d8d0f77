import { Controller, Req, RequestMapping, RequestMethod } from '@nestjs/common';
import type { Request } from 'express';
import { ProblemError } from '../domain/problem.ts';
import { methodsAt } from '../domain/route.ts';
import { ROUTES, ROUTES_TO_COME } from '../domain/routes.ts';

const PATHS = [...new Set(ROUTES_TO_COME.map(({ path }) => path))];

/** Routes whose work is still to come say so plainly. */
@Controller()
export class NotYetController {
  @RequestMapping({ path: PATHS, method: RequestMethod.ALL })
  answer(@Req() request: Request): never {
    const here = ROUTES_TO_COME.filter((route) => methodsAt([route], request.path).length > 0);
    const known = methodsAt([...Object.values(ROUTES), ...here], request.path);
    if (!known.includes(request.method)) {
      const detail = `${request.path} knows ${known.join(', ')}, not ${request.method}.`;
      throw new ProblemError(405, 'method-not-allowed', detail, { headers: { allow: known.join(', ') } });
    }
    throw new ProblemError(501, 'not-yet-available', `${here[0]?.what ?? 'This'}: not yet available.`);
  }
}
