/** On a Service whose address every node answers itself (the cluster's DNS): no rules lead elsewhere. */
export const nodeLocalAnnotation = 'k8ts.io/node-local';

/** On a Service with a load-balancer address of its own: the node that answers for that address on the link. */
export const announcedByAnnotation = 'k8ts.io/announced-by';
