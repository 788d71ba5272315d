import { type Ingress, type IngressClass, ingressControllerName } from '#api';

const defaultAnnotation = 'ingressclass.kubernetes.io/is-default-class';
const classAnnotation = 'kubernetes.io/ingress.class';

/** The names of the classes that are ours, and whether an Ingress without any class is. */
export interface OwnClasses {
  readonly names: ReadonlySet<string>;
  readonly withoutClass: boolean;
}

export function ownClasses(classes: readonly IngressClass[]): OwnClasses {
  const own = classes.filter((one) => one.spec?.controller === ingressControllerName);
  return {
    names: new Set(own.map((one) => one.metadata.name)),
    withoutClass: own.some((one) => one.metadata.annotations?.[defaultAnnotation] === 'true'),
  };
}

/** Whether an Ingress is served here: by its class, else by the old annotation, else when our class is the default. */
export function isServed(ingress: Ingress, own: OwnClasses): boolean {
  const name = ingress.spec?.ingressClassName ?? ingress.metadata.annotations?.[classAnnotation];
  return name === undefined ? own.withoutClass : own.names.has(name);
}
