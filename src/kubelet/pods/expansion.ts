/**
 * Replaces `$(NAME)` by its value; a name that is not known stays as it is, `$$` is a dollar sign. Upstream's syntax for env,
 * command, args and subPathExpr.
 */
export function expandVariables(text: string, value: (name: string) => string | undefined): string {
  let result = '';
  let at = 0;
  while (at < text.length) {
    const dollar = text.indexOf('$', at);
    if (dollar === -1 || dollar === text.length - 1) break;
    result += text.slice(at, dollar);
    const next = text[dollar + 1];
    const end = next === '(' ? text.indexOf(')', dollar) : -1;
    if (next === '$') {
      result += '$';
      at = dollar + 2;
    } else if (end !== -1) {
      result += value(text.slice(dollar + 2, end)) ?? text.slice(dollar, end + 1);
      at = end + 1;
    } else {
      result += `$${next}`;
      at = dollar + 2;
    }
  }
  return result + text.slice(at);
}
