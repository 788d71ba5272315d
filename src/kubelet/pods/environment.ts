import { CodedError } from '#base';
import type { ConfigMap, Container, EphemeralContainer, EnvVar, Pod, Secret, Service } from '#api';
import { expandVariables } from './expansion.ts';
import { fieldValue, type PodFacts, resourceValue } from './field-values.ts';
import { serviceVariables } from './service-environment.ts';

/** A container's configuration cannot be made: a missing ConfigMap or key, or a user that is not allowed. */
export class ContainerConfigError extends CodedError {}

/** Where ConfigMaps and Secrets come from; undefined when there is none of that name. */
export interface ObjectSource {
  configMap(namespace: string, name: string): Promise<ConfigMap | undefined>;
  secret(namespace: string, name: string): Promise<Secret | undefined>;
}

export interface EnvironmentInput {
  readonly pod: Pod;
  readonly container: Container | EphemeralContainer;
  readonly services: readonly Service[];
  readonly objects: ObjectSource;
  readonly facts: PodFacts;
}

/** The container's variables in order: services, `envFrom`, `env`; a later one of the same name wins. Throws ContainerConfigError. */
export async function containerEnvironment(input: EnvironmentInput): Promise<Map<string, Buffer>> {
  const { pod, container, services } = input;
  const links = pod.spec?.enableServiceLinks !== false;
  const linked = serviceVariables(services, pod.metadata.namespace, links);
  const variables = new Map<string, Buffer>();
  for (const [name, value] of await importedVariables(input)) variables.set(name, value);
  for (const variable of container.env ?? []) {
    const value = await variableValue(
      input,
      variable,
      (name) => variables.get(name)?.toString('utf8') ?? linked.get(name),
    );
    if (value !== undefined) variables.set(variable.name, value);
  }
  for (const [name, value] of linked) if (!variables.has(name)) variables.set(name, Buffer.from(value));
  return variables;
}

async function importedVariables({ pod, container, objects }: EnvironmentInput): Promise<Map<string, Buffer>> {
  const { namespace } = pod.metadata;
  const imported = new Map<string, Buffer>();
  for (const { prefix = '', configMapRef, secretRef } of container.envFrom ?? []) {
    if (configMapRef !== undefined) {
      const name = configMapRef.name ?? '';
      const found = await objects.configMap(namespace, name);
      if (found === undefined && !configMapRef.optional) throw missing('configmap', name);
      for (const [key, value] of Object.entries(found?.data ?? {})) imported.set(prefix + key, Buffer.from(value));
    }
    if (secretRef !== undefined) {
      const name = secretRef.name ?? '';
      const found = await objects.secret(namespace, name);
      if (found === undefined && !secretRef.optional) throw missing('secret', name);
      for (const [key, value] of Object.entries(found?.data ?? {}))
        imported.set(prefix + key, Buffer.from(value, 'base64'));
    }
  }
  return imported;
}

/** Undefined: an optional source that is not there; the variable is then not set at all. */
async function variableValue(
  input: EnvironmentInput,
  variable: EnvVar,
  known: (name: string) => string | undefined,
): Promise<Buffer | undefined> {
  const { pod, container, objects, facts } = input;
  const { namespace } = pod.metadata;
  const from = variable.valueFrom;
  if (from === undefined) return Buffer.from(expandVariables(variable.value ?? '', known));
  if (from.fieldRef !== undefined) return Buffer.from(fieldValue(pod, from.fieldRef.fieldPath, facts));
  if (from.resourceFieldRef !== undefined)
    return Buffer.from(resourceValue(pod, container, from.resourceFieldRef, facts));
  if (from.configMapKeyRef !== undefined) {
    const { name = '', key, optional } = from.configMapKeyRef;
    const found = await objects.configMap(namespace, name);
    if (found === undefined) return unlessRequired(optional, () => missing('configmap', name));
    if (found.data !== undefined && Object.hasOwn(found.data, key)) return Buffer.from(found.data[key] as string);
    return unlessRequired(optional, () => missingKey('ConfigMap', `${namespace}/${name}`, key));
  }
  if (from.secretKeyRef !== undefined) {
    const { name = '', key, optional } = from.secretKeyRef;
    const found = await objects.secret(namespace, name);
    if (found === undefined) return unlessRequired(optional, () => missing('secret', name));
    if (found.data !== undefined && Object.hasOwn(found.data, key))
      return Buffer.from(found.data[key] as string, 'base64');
    return unlessRequired(optional, () => missingKey('Secret', `${namespace}/${name}`, key));
  }
  throw new ContainerConfigError(
    'EnvUnsupported',
    `environment variable ${variable.name} has a source that this node does not know`,
  );
}

function unlessRequired(optional: boolean | undefined, error: () => Error): undefined {
  if (optional !== true) throw error();
  return undefined;
}

function missing(kind: 'configmap' | 'secret', name: string): ContainerConfigError {
  return new ContainerConfigError('ObjectMissing', `${kind} "${name}" not found`);
}

function missingKey(kind: 'ConfigMap' | 'Secret', object: string, key: string): ContainerConfigError {
  return new ContainerConfigError('KeyMissing', `couldn't find key ${key} in ${kind} ${object}`);
}
