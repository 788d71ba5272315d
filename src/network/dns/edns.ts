/** The EDNS record of a message of ours: 1,232 bytes pass every link without being split. */
export const ednsRecord = Object.freeze({
  type: 'OPT',
  name: '.',
  udpPayloadSize: 1232,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: 0,
  flag_do: false,
  options: [],
});
