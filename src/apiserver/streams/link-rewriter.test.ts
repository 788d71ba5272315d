import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rewriteHtmlLinks, rewriteLink } from './link-rewriter.ts';

const place = { prefix: '/api/v1/namespaces/n/pods/p:80/proxy', hosts: ['10.0.0.1:80', 'api:6443'] };

for (const [link, wanted] of [
  ['/x?y#z', `${place.prefix}/x?y#z`],
  ['/', `${place.prefix}/`],
  ['http://10.0.0.1:80/x', `${place.prefix}/x`],
  ['//api:6443/x', `${place.prefix}/x`],
  [`${place.prefix}/x`, `${place.prefix}/x`],
  ['x/y', 'x/y'],
  ['#top', '#top'],
  ['http://elsewhere/x', 'http://elsewhere/x'],
  ['mailto:a@b', 'mailto:a@b'],
] as const) {
  test(`link ${link}`, () => assert.equal(rewriteLink(link, place), wanted));
}

const page = `<p title="/no">é <a class=b href="/x">t</a><IMG src='/i.png'><a href=/bare>u</a><a href="rel"> 1 < 2 </a>`;
const wanted = page
  .replace('"/x"', `"${place.prefix}/x"`)
  .replace("'/i.png'", `'${place.prefix}/i.png'`)
  .replace('/bare', `${place.prefix}/bare`);

for (const size of [1, 2, 7, 1000]) {
  test(`a page in pieces of ${size}`, async () => {
    const rewriter = rewriteHtmlLinks(place);
    const bytes = Buffer.from(page);
    for (let at = 0; at < bytes.length; at += size) rewriter.write(bytes.subarray(at, at + size));
    rewriter.end();
    const parts: Buffer[] = [];
    for await (const part of rewriter) parts.push(part as Buffer);
    assert.equal(Buffer.concat(parts).toString(), wanted);
  });
}
