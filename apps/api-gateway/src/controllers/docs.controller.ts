import { createReadStream, existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Controller, Get, Param, Res, SetMetadata } from '@nestjs/common';
import type { Response } from 'express';
import { openApiDocument } from '../domain/openapi.ts';
import { ProblemError } from '../domain/problem.ts';
import { ROUTES } from '../domain/routes.ts';
import { VersionService } from '../services/version.service.ts';
import { ROUTE } from './served-route.ts';

const OPEN = SetMetadata(ROUTE, { access: 'open' });
const ASSETS = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
const MEDIA: Readonly<Record<string, string>> = {
  'swagger-ui.css': 'text/css',
  'swagger-ui-bundle.js': 'text/javascript',
  'favicon-32x32.png': 'image/png',
};
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'";

/** The OpenAPI document, and a page to browse it; everything on it comes from this server. */
@Controller()
export class DocsController {
  private document: string | undefined;

  constructor(private readonly version: VersionService) {}

  @Get('api/openapi.json')
  @OPEN
  openapi(@Res() response: Response): void {
    const { version, ownUrl } = this.version;
    this.document ??= JSON.stringify(openApiDocument(Object.values(ROUTES), { version, server: ownUrl }));
    response.setHeader('content-type', 'application/json; charset=utf-8');
    response.end(this.document);
  }

  @Get('api/docs')
  @OPEN
  page(@Res() response: Response): void {
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.setHeader('content-security-policy', POLICY);
    response.end(PAGE);
  }

  @Get('api/docs/start.js')
  @OPEN
  start(@Res() response: Response): void {
    response.setHeader('content-type', 'text/javascript; charset=utf-8');
    response.end("SwaggerUIBundle({ url: '/api/openapi.json', dom_id: '#docs', deepLinking: true });\n");
  }

  @Get('api/docs/:file')
  @OPEN
  asset(@Param('file') file: string, @Res() response: Response): void {
    const media = MEDIA[file];
    const path = join(ASSETS, file);
    if (!media || !existsSync(path)) throw new ProblemError(404, 'not-found', `There is nothing at /api/docs/${file}.`);
    response.setHeader('content-type', media);
    response.setHeader('cache-control', 'public, max-age=86400');
    createReadStream(path)
      .on('error', () => response.destroy())
      .pipe(response);
  }
}

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Understudy REST</title>
<link rel="icon" href="/api/docs/favicon-32x32.png">
<link rel="stylesheet" href="/api/docs/swagger-ui.css">
</head>
<body>
<div id="docs"></div>
<script src="/api/docs/swagger-ui-bundle.js"></script>
<script src="/api/docs/start.js"></script>
</body>
</html>
`;
