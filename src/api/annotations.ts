/** On a Service whose address every node answers itself (the cluster's DNS): no rules lead elsewhere. */
export const nodeLocalAnnotation = 'k8ts.io/node-local';

/** On a Service with a load-balancer address of its own: the node that answers for that address on the link. */
export const announcedByAnnotation = 'k8ts.io/announced-by';

/** `spec.controller` of the IngressClasses that nodes serve themselves. */
export const ingressControllerName = 'k8ts.io/ingress-controller';

/** Who serves Ingresses on a node. */
export const ingressUser = 'system:k8ts-ingress';
