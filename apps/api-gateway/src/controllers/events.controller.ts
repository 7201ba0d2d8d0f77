import { Controller, Req, Res } from '@nestjs/common';
import type { EventView } from '@understudy/contracts';
import type { Request, Response } from 'express';
import type { z } from 'zod';
import { LIMITS } from '../config.ts';
import type { EventsInput } from '../domain/inputs.ts';
import { ROUTES } from '../domain/routes.ts';
import { EventFeedService, type EventSink } from '../services/event-feed.service.ts';
import { HealthMonitorService } from '../services/health-monitor.service.ts';
import { CheckedQuery } from './input.pipe.ts';
import { Serves } from './served-route.ts';

const DEFAULT_LIMIT = 100;

/** The event list, once and as a stream. */
@Controller()
export class EventsController {
  constructor(
    private readonly healthMonitor: HealthMonitorService,
    private readonly feed: EventFeedService,
  ) {}

  // Before the list: both paths begin alike.
  @Serves(ROUTES.eventStream)
  async stream(@Req() request: Request, @Res() response: Response): Promise<void> {
    const since = lastEventId(request);
    if (request.method === 'HEAD') {
      response.setHeader('content-type', 'text/event-stream');
      response.end();
      return;
    }
    const sink = serverSentEvents(response);
    const end = await this.feed.subscribe(since, sink);
    if (response.destroyed) end();
    else response.once('close', end);
    // Tells at once that the stream stands, also when there is nothing to say yet.
    sink.beat();
  }

  @Serves(ROUTES.events)
  list(@CheckedQuery(ROUTES.events) { since, limit }: z.output<typeof EventsInput>) {
    return this.healthMonitor.events(since ?? null, limit ?? DEFAULT_LIMIT);
  }
}

/** Where the client broke off: the header that browsers send by themselves, or `since` in the query. */
function lastEventId(request: Request): number | null {
  const text = request.headers['last-event-id'] ?? request.query.since;
  return typeof text === 'string' && /^\d{1,15}$/.test(text) ? Number(text) : null;
}

function serverSentEvents(response: Response): EventSink {
  const begin = () => {
    if (response.headersSent) return;
    response.socket?.setTimeout(0);
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    });
    response.write('retry: 2000\n\n');
  };
  const write = (text: string): boolean => {
    if (response.destroyed || response.writableLength > LIMITS.streamUnsentBytesMax) return false;
    begin();
    response.write(text);
    return true;
  };
  return {
    send: (event: EventView) => write(`id: ${event.id}\ndata: ${JSON.stringify(event)}\n\n`),
    beat: () => write(': beat\n\n'),
    close: () => response.destroy(),
  };
}
