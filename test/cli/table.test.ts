// Lists: tables, JSON lines and templates.

import t from 'tap';
import { fillTemplate, renderRows, table, TemplateError, type Columns } from '../../src/cli/table.js';

interface Row {
  Name: string;
  Driver: string;
  Labels: Record<string, string>;
}
const columns: Columns<Row> = [
  ['Driver', 'DRIVER'],
  ['Name', 'VOLUME NAME'],
];
const rows: Row[] = [
  { Name: 'data', Driver: 'local', Labels: { a: 'b' } },
  { Name: 'a longer name', Driver: 'remote driver', Labels: {} },
];

void t.test('columns stand three spaces apart, and nothing after the last', (test) => {
  test.equal(
    table(
      ['A', 'LONG', 'C'],
      [
        ['1', '2', '3'],
        ['long cell', '', ''],
      ],
    ),
    'A           LONG   C\n1           2      3\nlong cell\n',
  );
  test.equal(table(['A', 'B'], []), 'A   B\n');
  test.end();
});

void t.test('a character counts as one, however it is encoded', (test) => {
  test.equal(
    table(
      ['A', 'B'],
      [
        ['\u{1f600}', 'x'],
        ['\u00e9\u00e9', 'y'],
      ],
    ),
    'A    B\n\u{1f600}    x\n\u00e9\u00e9   y\n',
  );
  test.end();
});

void t.test('a name cannot move the cursor or end a line', (test) => {
  test.equal(table(['A'], [['x\u001b[2J\ny\u009b']]), 'A\nx\\x1b[2J\\x0ay\\x9b\n');
  test.end();
});

const formats: readonly (readonly [format: string | undefined, output: string])[] = [
  [undefined, 'DRIVER          VOLUME NAME\nlocal           data\nremote driver   a longer name\n'],
  ['table', 'DRIVER          VOLUME NAME\nlocal           data\nremote driver   a longer name\n'],
  ['table {{.Name}}\\t{{.Driver}}', 'VOLUME NAME     DRIVER\ndata            local\na longer name   remote driver\n'],
  ['table {{.Name}}\t{{.Labels}}', 'VOLUME NAME     LABELS\ndata            map[a:b]\na longer name   map[]\n'],
  ['json', `${rows.map(({ Name, Driver, Labels }) => JSON.stringify({ Driver, Labels, Name })).join('\n')}\n`],
  ['{{.Name}}', 'data\na longer name\n'],
  ['{{ .Driver }}:{{json .Name}}\\n', 'local:"data"\n\nremote driver:"a longer name"\n\n'],
  ['{{json .}}', `${rows.map(({ Name, Driver, Labels }) => JSON.stringify({ Driver, Labels, Name })).join('\n')}\n`],
  ['plain', 'plain\nplain\n'],
];
for (const [format, output] of formats) {
  void t.test(`--format ${format ?? '(absent)'}`, (test) => {
    test.equal(renderRows(format, columns, rows), output);
    test.end();
  });
}

void t.test('a template reaches into objects', (test) => {
  test.equal(fillTemplate('{{.Labels.a}} {{.Labels}}', rows[0]), 'b map[a:b]');
  test.end();
});

void t.test('what a template cannot have is named', (test) => {
  const refused: readonly (readonly [string, RegExp])[] = [
    ['{{.Nope}}', /^template: there is no field \.Nope: use one of \.Name, \.Driver, \.Labels$/],
    ['{{.Name.x}}', /^template: there is no field \.Name\.x: it has no fields$/],
    ['{{.constructor}}', /there is no field \.constructor/],
    ['{{range .}}', /^template: \{\{range\}\} has no \{\{end\}\}/],
  ];
  for (const [template, message] of refused) {
    test.throws(() => fillTemplate(template, rows[0]), { name: 'TemplateError', message });
    test.throws(() => renderRows(template, columns, rows), TemplateError);
  }
  test.end();
});
