// `lamina completion SHELL`: a script that completes commands, and names of containers, images and volumes.

import type { Command, Commands } from './command.js';
import { words } from './dispatch.js';
import { tellAsOwn } from './failures.js';

/** Which list a command's arguments come from. */
const NAMES = `case "$1" in
    start|stop|restart|kill|rm|logs|exec|attach|inspect|top|port|pause|unpause|wait|rename|cp|diff|export|commit|update) lamina ps -a --format '{{.Names}}' ;;
    run|create|rmi|save|tag|history) lamina images --format '{{.Repository}}:{{.Tag}}' ;;
  esac 2>/dev/null`;

const FIRST = [...words].sort().join(' ');

const SCRIPTS: Readonly<Record<string, string>> = {
  bash: `_lamina_names() {
  ${NAMES}
}
_lamina() {
  local word=\${COMP_WORDS[COMP_CWORD]}
  if [ "$COMP_CWORD" = 1 ]; then COMPREPLY=($(compgen -W "${FIRST}" -- "$word")); return; fi
  COMPREPLY=($(compgen -W "$(_lamina_names "\${COMP_WORDS[1]}")" -- "$word"))
}
complete -o default -F _lamina lamina
`,
  zsh: `#compdef lamina
_lamina_names() {
  ${NAMES}
}
_lamina() {
  if (( CURRENT == 2 )); then compadd -- ${FIRST}; return; fi
  compadd -- \${(f)"$(_lamina_names "$words[2]")"}
  _files
}
compdef _lamina lamina
`,
  fish: `complete -c lamina -n __fish_use_subcommand -f -a "${FIRST}"
complete -c lamina -n "__fish_seen_subcommand_from start stop restart kill rm logs exec attach inspect top port" -f -a "(lamina ps -a --format '{{.Names}}' 2>/dev/null)"
complete -c lamina -n "__fish_seen_subcommand_from run create rmi save tag history" -f -a "(lamina images --format '{{.Repository}}:{{.Tag}}' 2>/dev/null)"
`,
};

const shells = Object.keys(SCRIPTS).join('|');

const completion: Command = {
  spec: {
    command: 'lamina completion',
    usage: shells,
    summary: 'Print a script for the shell that completes commands and names',
    flags: {},
  },
  tell: tellAsOwn,
  run(args) {
    const script = SCRIPTS[args.rest[0] ?? ''];
    if (script) process.stdout.write(script);
    else process.stderr.write(`Usage:  lamina completion ${shells}\n`);
    return Promise.resolve(script ? 0 : 1);
  },
};

export const commands: Commands = { completion };
