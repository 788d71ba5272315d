// Version: v1
// Kind: WebApp
// Group: apps
// Domain: example.com

/** The operator kit makes the definition of custom resources from this file: its comments above count. */
export interface WebAppSpec {
  // How many pods.
  replicas: number;
  theme: string;
}

export type WebAppStatusCondition = {
  type: string;
  status: string;
  message?: string;
};

export const details = { plural: 'webapps', scope: 'Namespaced', shortName: 'wa' };
