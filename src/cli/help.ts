import type { Command, HelpConfiguration, Option } from 'commander';

/** How --help is printed: 80 columns, descriptions wrapped beside the longest option, defaults in the words of the command line. */
export const helpStyle: HelpConfiguration = {
  helpWidth: 80,
  minWidthToWrap: 25,
  optionDescription: describeOption,
};

/** Adds examples below the options: pairs of a command line and what it does. */
export function withExamples(command: Command, examples: readonly (readonly [line: string, does: string])[]): Command {
  const width = Math.max(...examples.map(([line]) => line.length));
  const lines = examples.map(([line, does]) => `  ${line.padEnd(width)}  # ${does}`);
  return command.addHelpText('after', `\nExamples:\n${lines.join('\n')}`);
}

function describeOption(option: Option): string {
  const notes = [
    ...(option.argChoices === undefined ? [] : [`one of: ${option.argChoices.join(', ')}`]),
    ...(option.negate || option.description.includes('(default:') ? [] : defaultOf(option)),
  ];
  return notes.length === 0 ? option.description : `${option.description} (${notes.join('; ')})`;
}

function defaultOf({ defaultValue, flags }: Option): string[] {
  if (Array.isArray(defaultValue)) return defaultValue.length === 0 ? [] : [`default: ${defaultValue.join(',')}`];
  if (typeof defaultValue === 'number')
    return [`default: ${flags.includes('<duration>') ? durationText(defaultValue) : defaultValue}`];
  return typeof defaultValue === 'string' || defaultValue === true ? [`default: ${defaultValue}`] : [];
}

/** 120000 → `120s`, 86400000 → `24h`: as it is given on the command line. */
function durationText(valueMs: number): string {
  if (valueMs >= 3_600_000 && valueMs % 3_600_000 === 0) return `${valueMs / 3_600_000}h`;
  return valueMs % 1000 === 0 ? `${valueMs / 1000}s` : `${valueMs}ms`;
}
