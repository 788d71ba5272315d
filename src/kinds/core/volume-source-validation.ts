import { validateDns1123Subdomain } from '#machinery';
import type { Findings } from '../findings.ts';

/** Fields that must not be empty, by volume source, for pods' volumes and persistent volumes alike. */
export const requiredSourceFields: Readonly<Record<string, readonly string[] | undefined>> = {
  awsElasticBlockStore: ['volumeID'],
  azureDisk: ['diskName', 'diskURI'],
  azureFile: ['secretName', 'shareName'],
  cephfs: ['monitors'],
  cinder: ['volumeID'],
  configMap: ['name'],
  flexVolume: ['driver'],
  gcePersistentDisk: ['pdName'],
  gitRepo: ['repository'],
  glusterfs: ['endpoints', 'path'],
  hostPath: ['path'],
  iscsi: ['targetPortal', 'iqn'],
  local: ['path'],
  nfs: ['server', 'path'],
  persistentVolumeClaim: ['claimName'],
  photonPersistentDisk: ['pdID'],
  portworxVolume: ['volumeID'],
  quobyte: ['registry', 'volume'],
  rbd: ['monitors', 'image'],
  scaleIO: ['gateway', 'system', 'volumeName'],
  secret: ['secretName'],
  storageos: ['volumeName'],
  vsphereVolume: ['volumePath'],
};

/** A DNS subdomain of at most 63 characters, in any case. */
export function validateCsiDriverName(name: string, field: string, found: Findings): void {
  if (name === '') return found.required(field);
  if (name.length > 63) found.tooLong(field, name, 63);
  found.each(field, name, validateDns1123Subdomain(name.toLowerCase()));
}
