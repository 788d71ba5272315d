import { definePlugin } from '../framework.ts';
import { normalizedImage } from '../state/node-info.ts';

const mebibyte = 1024 * 1024;
const least = 23 * mebibyte;
const mostPerContainer = 1000 * mebibyte;

/** Prefers nodes that have the pod's images, large ones first, less so the fewer nodes have them. */
export const imageLocality = definePlugin({
  name: 'ImageLocality',
  events: [],
  weight: 1,
  score({ shape }, node, cluster) {
    if (node.images.size === 0) return 0;
    let sum = 0;
    for (const image of shape.images) {
      const name = normalizedImage(image);
      const size = node.images.get(name);
      if (size !== undefined)
        sum += Math.floor((size * (cluster.imageNodes.get(name) ?? 0)) / Math.max(1, cluster.order.length));
    }
    const most = mostPerContainer * shape.images.length;
    const bounded = Math.min(most, Math.max(least, sum));
    return Math.floor((100 * (bounded - least)) / (most - least));
  },
});
