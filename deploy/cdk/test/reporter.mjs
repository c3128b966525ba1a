/** What failed and why, and a last line that tests/setup/tally.awk counts. */
export default async function* report(events) {
  let passed = 0;
  let failed = 0;
  let skipped = 0;
  for await (const { type, data } of events) {
    // A suite fails with its tests; a file that is no test is not one that passed.
    const counts = (type === 'test:pass' || type === 'test:fail') && data.details.type !== 'suite' && !data.name.endsWith('.js');
    if (type === 'test:stderr' || type === 'test:stdout') {
      yield data.message;
    } else if (type === 'test:fail' && data.name.endsWith('.js')) {
      failed += 1;
      yield `not ok: ${data.name}: it ended badly before its tests\n${data.details.error.cause?.stack ?? data.details.error}\n`;
    } else if (counts && (data.skip !== undefined || data.todo !== undefined)) {
      skipped += 1;
    } else if (counts && type === 'test:pass') {
      passed += 1;
    } else if (counts) {
      failed += 1;
      const { cause } = data.details.error;
      yield `not ok: ${data.file}: ${data.name}\n${cause?.stack ?? data.details.error}\n${cause?.cause?.stack ?? ''}\n`;
    }
  }
  yield `test result: ${failed === 0 ? 'ok' : 'FAILED'}. ${passed} passed; ${failed} failed; ${skipped} ignored\n`;
}
