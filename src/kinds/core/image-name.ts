/**
 * The pull policy that an image's name implies: Always for the tag `latest`, also when it is only implied, IfNotPresent for
 * any other tag and for digests.
 */
export function defaultPullPolicy(image: string | undefined): 'Always' | 'IfNotPresent' {
  return imageTag(image ?? '') === 'latest' ? 'Always' : 'IfNotPresent';
}

/** Tag of `registry:5000/name:tag@digest`: `latest` where neither tag nor digest is given, '' for a digest alone. */
export function imageTag(image: string): string {
  const at = image.indexOf('@');
  const name = at < 0 ? image : image.slice(0, at);
  const colon = name.indexOf(':', name.lastIndexOf('/') + 1);
  if (colon >= 0) return name.slice(colon + 1);
  return at < 0 && name !== '' ? 'latest' : '';
}
