/** Characters that a path may have as they are; everything else is written in percent form. */
const plain = /^[A-Za-z0-9\-._~!$&'()*+,;=:@/]*$/;
const unreserved = /^[A-Za-z0-9\-._~]$/;
const asIs = /[A-Za-z0-9\-._~!$&'()*+,;=:@/]/;

/**
 * The one spelling of a path by which rules and requests are compared: letters that need no percent form are written plainly, others
 * in upper-case percent form, and slashes in a row count as one: `/%7Ea//b` → `/~a/b`. A request's path is bytes, one character each.
 */
export function normalisePath(path: string): string {
  if (plain.test(path)) return path.includes('//') ? path.replace(/\/{2,}/g, '/') : path;
  let out = '';
  for (let i = 0; i < path.length; i++) {
    const char = path[i] as string;
    if (char === '%') {
      const hex = path.slice(i + 1, i + 3);
      if (/^[0-9A-Fa-f]{2}$/.test(hex)) {
        const decoded = String.fromCharCode(Number.parseInt(hex, 16));
        out += unreserved.test(decoded) ? decoded : `%${hex.toUpperCase()}`;
        i += 2;
      } else out += '%25';
    } else if (asIs.test(char)) out += char;
    else out += `%${(path.charCodeAt(i) & 0xff).toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return out.replace(/\/{2,}/g, '/');
}

/** A path of a rule, as the bytes that a client sends for it. */
export function pathOfText(text: string): string {
  return normalisePath(Buffer.from(text).toString('latin1'));
}

/**
 * Whether a path has a `.` or `..` element, also one that only a server behind would see: in percent form, between encoded slashes or
 * backslashes, before a `;`. Clients resolve those themselves; who sends one means to reach something past the rules.
 */
export function hasDotElements(path: string): boolean {
  if (!path.includes('.') && !path.includes('%2')) return false;
  if (!/[/\\]\.|%2|%5/i.test(path)) return false;
  const decoded = path.replace(/%2e/gi, '.').replace(/%2f/gi, '/').replace(/%5c/gi, '\\');
  return /(?:^|[/\\])\.{1,2}(?:$|[/\\;])/.test(decoded);
}
