import { type Clock, processMetrics } from '#base';

const requests = processMetrics.counter({
  name: 'rest_client_requests_total',
  help: 'Requests sent to the API server by answer, method and server.',
  labels: ['code', 'method', 'host'],
});
const durations = processMetrics.histogram({
  name: 'rest_client_request_duration_seconds',
  help: 'Time until the head of the answer had come, by method and server.',
  labels: ['verb', 'host'],
  buckets: [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60],
});

/** Counts the requests to one server; one that got no answer has the code `<error>`, as upstream's. */
export function measureRequests(
  host: string,
  clock: Clock,
): <T extends { readonly status: number }>(method: string, send: () => Promise<T>) => Promise<T> {
  return async (method, send) => {
    const beganMs = clock.monotonicMs();
    let code = '<error>';
    try {
      const response = await send();
      code = String(response.status);
      return response;
    } finally {
      requests.of(code, method, host).value++;
      durations.of(method, host).observe((clock.monotonicMs() - beganMs) / 1000);
    }
  };
}
