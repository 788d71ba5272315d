/** On a Service whose address every node answers itself (the cluster's DNS): no rules lead elsewhere. */
export const nodeLocalAnnotation = 'k8ts.io/node-local';
