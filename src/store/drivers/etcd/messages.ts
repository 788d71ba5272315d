import { bytes, type Decoded, type Fields, flag, id, int, many, Message, one, text, texts } from './protobuf.ts';

/* The messages of etcd's API v3 (packages mvccpb and etcdserverpb) that are used here: names and field numbers are etcd's. */

export const keyValue = new Message({
  key: bytes(1),
  createRevision: int(2),
  modRevision: int(3),
  version: int(4),
  value: bytes(5),
  lease: id(6),
});
export type KeyValue = Decoded<typeof keyValue>;

const header = new Message({ clusterId: id(1), memberId: id(2), revision: int(3) });
export type Header = Decoded<typeof header>;

export const deleted = 1;
const event = new Message({ type: int(1), kv: one(2, keyValue), previous: one(3, keyValue) });
export type EtcdEvent = Decoded<typeof event>;

const rangeRequest = new Message({
  key: bytes(1),
  rangeEnd: bytes(2),
  limit: int(3),
  revision: int(4),
  serializable: flag(7),
  keysOnly: flag(8),
  countOnly: flag(9),
});
const rangeResponse = new Message({ header: one(1, header), kvs: many(2, keyValue), more: flag(3), count: int(4) });

const putRequest = new Message({ key: bytes(1), value: bytes(2), lease: id(3), previous: flag(4) });
const putResponse = new Message({ previous: one(2, keyValue) });
const deleteRequest = new Message({ key: bytes(1), previous: flag(3) });
const deleteResponse = new Message({ deleted: int(2), previous: many(3, keyValue) });

/** Compare targets and results as numbers of their enumerations. */
export const compareMod = 2;
const compare = new Message({ result: int(1), target: int(2), key: bytes(3), modRevision: int(6) });
const requestOp = new Message({ range: one(1, rangeRequest), put: one(2, putRequest), delete: one(3, deleteRequest) });
const responseOp = new Message({
  range: one(1, rangeResponse),
  put: one(2, putResponse),
  delete: one(3, deleteResponse),
});
const txnRequest = new Message({ compare: many(1, compare), success: many(2, requestOp), failure: many(3, requestOp) });
const txnResponse = new Message({ header: one(1, header), succeeded: flag(2), responses: many(3, responseOp) });

const compactRequest = new Message({ revision: int(1), physical: flag(2) });
const headerOnly = new Message({ header: one(1, header) });

const watchCreate = new Message({
  key: bytes(1),
  rangeEnd: bytes(2),
  startRevision: int(3),
  previous: flag(6),
  fragment: flag(8),
});
export const watchRequest = new Message({ create: one(1, watchCreate) });
export const watchResponse = new Message({
  header: one(1, header),
  created: flag(3),
  canceled: flag(4),
  compactRevision: int(5),
  cancelReason: text(6),
  fragment: flag(7),
  events: many(11, event),
});
export type WatchResponse = Decoded<typeof watchResponse>;

const leaseGrantRequest = new Message({ ttl: int(1), id: id(2) });
const leaseGrantResponse = new Message({ header: one(1, header), id: id(2), ttl: int(3), error: text(4) });
const idOnly = new Message({ id: id(1) });
const leaseKeepAliveResponse = new Message({ header: one(1, header), id: id(2), ttl: int(3) });

const member = new Message({ id: id(1), name: text(2), peerUrls: texts(3), clientUrls: texts(4), isLearner: flag(5) });
export type EtcdMember = Decoded<typeof member>;
const memberAddRequest = new Message({ peerUrls: texts(1), isLearner: flag(2) });
const memberAddResponse = new Message({ header: one(1, header), member: one(2, member), members: many(3, member) });
const memberListResponse = new Message({ header: one(1, header), members: many(2, member) });

const nothing = new Message({});
const statusResponse = new Message({
  header: one(1, header),
  version: text(2),
  dbBytes: int(3),
  leader: id(4),
  raftIndex: int(5),
  raftAppliedIndex: int(7),
  errors: texts(8),
});
const alarmRequest = new Message({ action: int(1), memberId: id(2), alarm: int(3) });
const alarmResponse = new Message({
  header: one(1, header),
  alarms: many(2, new Message({ memberId: id(1), alarm: int(2) })),
});

/** A call with one request; one answer, or several. */
export interface Method<Q extends Fields, A extends Fields> {
  readonly path: string;
  readonly request: Message<Q>;
  readonly response: Message<A>;
}

function method<Q extends Fields, A extends Fields>(path: string, request: Message<Q>, response: Message<A>) {
  return { path: `/etcdserverpb.${path}`, request, response } as const satisfies Method<Q, A>;
}

export const methods = {
  range: method('KV/Range', rangeRequest, rangeResponse),
  txn: method('KV/Txn', txnRequest, txnResponse),
  compact: method('KV/Compact', compactRequest, headerOnly),
  watch: method('Watch/Watch', watchRequest, watchResponse),
  leaseGrant: method('Lease/LeaseGrant', leaseGrantRequest, leaseGrantResponse),
  leaseRevoke: method('Lease/LeaseRevoke', idOnly, headerOnly),
  leaseKeepAlive: method('Lease/LeaseKeepAlive', idOnly, leaseKeepAliveResponse),
  memberAdd: method('Cluster/MemberAdd', memberAddRequest, memberAddResponse),
  memberRemove: method('Cluster/MemberRemove', idOnly, memberListResponse),
  memberPromote: method('Cluster/MemberPromote', idOnly, memberListResponse),
  memberList: method('Cluster/MemberList', nothing, memberListResponse),
  status: method('Maintenance/Status', nothing, statusResponse),
  alarm: method('Maintenance/Alarm', alarmRequest, alarmResponse),
  defragment: method('Maintenance/Defragment', nothing, headerOnly),
} as const;

export type RangeAnswer = Decoded<typeof rangeResponse>;
export type TxnAnswer = Decoded<typeof txnResponse>;
