import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Command } from 'commander';
import { commands } from './catalogue.ts';
import { helpStyle } from './help.ts';
import { failureText } from './run.ts';
import { CodedError } from '#base';

/** A command and all commands below it. */
function withChildren(command: Command): Command[] {
  return [command, ...command.commands.flatMap(withChildren)];
}

test('the help of every command has lines of at most 80 columns, and says defaults once, as they are given', async () => {
  const program = new Command('k8ts').configureHelp(helpStyle);
  for (const one of commands) (await one.load()).describe(program.command(one.name).description(one.description));
  for (const command of withChildren(program)) {
    let text = '';
    command.configureOutput({ writeOut: (part) => void (text += part) }).outputHelp();
    assert.notEqual(command.description() === '' && command !== program, true, `${command.name()} has no description`);
    assert.deepEqual(
      text.split('\n').filter((line) => line.length > 80),
      [],
      command.name(),
    );
    assert.doesNotMatch(text, /default: \[|default: \{|default: "|default: \d{4,}0000?\)/, command.name());
    assert.doesNotMatch(text, /\(default:?[^()]*\)\s+\(default/, command.name());
  }
});

test('a refusal of the system is one line with a hint; a bug shows where it is', () => {
  const full = Object.assign(new Error("ENOSPC: no space left on device, write 'x'"), {
    code: 'ENOSPC',
    syscall: 'write',
  });
  assert.equal(
    failureText(full),
    "ENOSPC: no space left on device, write 'x': the disk is full; make room (df -h) and say it again",
  );
  assert.equal(failureText(new CodedError('NoCluster', 'there is no cluster x')), 'there is no cluster x');
  assert.match(failureText(new TypeError('x is not a function')), /x is not a function\n\s+at /);
});
