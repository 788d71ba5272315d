import { shortId } from '../local/layout.ts';
import { withClusterLock } from '../local/lock.ts';
import { renewCertificates as renew } from './certificates.ts';
import { type InitOptions, type InitResult, initMachine as init } from './init.ts';
import { type JoinOptions, joinMachine as join } from './join.ts';
import { type ResetOptions, resetMachine as reset } from './reset.ts';
import { type UpgradeOptions, upgradeMachine as upgrade } from './upgrade.ts';

/** Runs `work` while no other command changes the same machine. Without root nothing can be changed, and nothing is locked. */
function locked<T>({ root }: { readonly root: string }, work: () => Promise<T>): Promise<T> {
  if (process.getuid?.() !== 0) return work();
  return withClusterLock(`/run/k8ts-machine-${shortId(root)}.lock`, work);
}

/** What commands call: one at a time on a machine. */
export const initMachine = (options: InitOptions): Promise<InitResult> => locked(options, () => init(options));
export const joinMachine = (options: JoinOptions): Promise<void> => locked(options, () => join(options));
export const resetMachine = (options: ResetOptions): Promise<boolean> => locked(options, () => reset(options));
export const upgradeMachine = (options: UpgradeOptions): Promise<boolean> => locked(options, () => upgrade(options));
export const renewCertificates = (options: Parameters<typeof renew>[0]): Promise<string[]> =>
  locked(options, () => renew(options));
