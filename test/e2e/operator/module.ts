/**
 * A module of the operator kit Pepr as its users write them, run in a process of its own: it mutates and validates WebApps and
 * ConfigMaps by webhook, and makes a Deployment of each WebApp that it sees.
 */
import { createRequire } from 'node:module';

const { a, Capability, K8s, kind, PeprModule, RegisterKind } = createRequire(
  new URL('../../tools/package.json', import.meta.url),
)('pepr') as Kit;

// biome-ignore lint: the kit's own types need a build of its sources
type Kit = any;
// biome-ignore lint: the same
type Request = any;

class WebApp extends a.GenericKind {}
RegisterKind(WebApp, { group: 'apps.example.com', version: 'v1', kind: 'WebApp', plural: 'webapps' });

const capability = new Capability({ name: 'web-apps', description: 'Web applications', namespaces: [] });
const { When } = capability;

When(WebApp)
  .IsCreatedOrUpdated()
  .Mutate((request: Request) => {
    request.SetLabel('theme', request.Raw.spec.theme).SetAnnotation('mutated-by', 'pepr');
  })
  .Validate((request: Request) =>
    request.Raw.spec.replicas > 10 ? request.Deny('no more than ten replicas', 422) : request.Approve(['checked']),
  )
  .Reconcile(async (app: Request) => {
    const { name, namespace, uid } = app.metadata;
    const labels = { app: name };
    await K8s(kind.Deployment).Apply(
      {
        metadata: {
          ...{ name, namespace, labels },
          ownerReferences: [{ apiVersion: 'apps.example.com/v1', kind: 'WebApp', name, uid }],
        },
        spec: {
          replicas: app.spec.replicas,
          selector: { matchLabels: labels },
          template: { metadata: { labels }, spec: { containers: [{ name: 'web', image: 'nginx' }] } },
        },
      },
      { force: true },
    );
    await K8s(WebApp).PatchStatus({
      metadata: { name, namespace },
      status: { conditions: [{ type: 'Ready', status: 'True', message: `${app.spec.replicas} asked for` }] },
    });
  });

When(a.ConfigMap)
  .IsDeleted()
  .WithLabel('keep')
  .Validate((request: Request) => request.Deny('this one is kept'));

new PeprModule(
  {
    description: 'test',
    pepr: {
      ...{ name: 'test', uuid: 'k8ts-test', onError: 'reject', webhookTimeout: 10 },
      alwaysIgnore: { namespaces: [] },
      includedFiles: [],
    },
  },
  [capability],
  { deferStart: true },
).start?.(Number(process.env.PORT));
