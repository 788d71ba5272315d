import { Transform } from 'node:stream';

/** Attributes that hold addresses, by element. */
const linkAttributes: Readonly<Record<string, readonly string[]>> = {
  a: ['href'],
  applet: ['codebase'],
  area: ['href'],
  audio: ['src'],
  base: ['href'],
  blockquote: ['cite'],
  body: ['background'],
  button: ['formaction'],
  command: ['icon'],
  del: ['cite'],
  embed: ['src'],
  form: ['action'],
  frame: ['longdesc', 'src'],
  head: ['profile'],
  html: ['manifest'],
  iframe: ['longdesc', 'src'],
  img: ['longdesc', 'src', 'usemap'],
  input: ['src', 'usemap', 'formaction'],
  ins: ['cite'],
  link: ['href'],
  object: ['classid', 'codebase', 'data', 'usemap'],
  q: ['cite'],
  script: ['src'],
  source: ['src'],
  video: ['poster', 'src'],
};
/** A tag longer than this is handed on as it is. */
const longestTag = 64 * 1024;
const attribute = /([^\s"'<>/=]+)(\s*=\s*)("[^"]*"|'[^']*'|[^\s"'>]+)/g;

export interface ProxiedPlace {
  /** The path of this server under which the backend's root is reached, without a slash at its end. */
  readonly prefix: string;
  /** The backend's authority, and the name under which the client knows this server. */
  readonly hosts: readonly string[];
}

/** An address in a backend's answer as the client must ask for it: absolute paths go below the prefix, other hosts stay. */
export function rewriteLink(link: string, { prefix, hosts }: ProxiedPlace): string {
  const parts = /^(?:(?:https?:)?\/\/([^/?#]*))?(\/[^]*)$/i.exec(link.trim());
  if (parts === null) return link;
  const [, host, path = ''] = parts;
  if (host !== undefined && !hosts.includes(host)) return link;
  return path === prefix || path.startsWith(`${prefix}/`) ? path : prefix + path;
}

/** HTML whose links lead through the proxy. Works on pieces of any size and keeps every other byte. */
export function rewriteHtmlLinks(place: ProxiedPlace): Transform {
  let held = '';
  const rewritten = (text: string): string =>
    text.replace(/<([a-zA-Z]+)(\s[^<>]*)>/g, (tag, name: string, attributes: string) => {
      const element = name.toLowerCase();
      if (!Object.hasOwn(linkAttributes, element)) return tag;
      const wanted = linkAttributes[element] as readonly string[];
      const changed = attributes.replace(attribute, (whole, key: string, equals: string, quoted: string) => {
        if (!wanted.includes(key.toLowerCase())) return whole;
        const quote = quoted.startsWith('"') || quoted.startsWith("'") ? quoted.charAt(0) : '';
        const value = quote === '' ? quoted : quoted.slice(1, -1);
        return `${key}${equals}${quote}${rewriteLink(value, place)}${quote}`;
      });
      return `<${name}${changed}>`;
    });
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      // One character a byte: links are ASCII, whatever the page's encoding.
      const text = held + chunk.toString('latin1');
      const open = text.lastIndexOf('<');
      const cut = open >= 0 && text.indexOf('>', open) < 0 && text.length - open <= longestTag ? open : text.length;
      held = text.slice(cut);
      done(null, Buffer.from(rewritten(text.slice(0, cut)), 'latin1'));
    },
    flush(done) {
      done(null, Buffer.from(rewritten(held), 'latin1'));
    },
  });
}
