/** The grammars of names, label keys and values, with the messages that Kubernetes gives when they are broken. */

const dns1123Label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const dns1123Subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const qualifiedName = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const labelValue = /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/;

const subdomainLengthMax = 253;
const labelLengthMax = 63;

/** What is wrong with a DNS-1123 subdomain (most names); undefined if nothing is. */
export function subdomainError(name: string): string | undefined {
  if (name.length > subdomainLengthMax) {
    return `must be no more than ${subdomainLengthMax} characters`;
  }
  if (dns1123Subdomain.test(name)) return undefined;
  return (
    `a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', ` +
    `and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is ` +
    `'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`
  );
}

/** What is wrong with a DNS-1123 label (names of namespaces); undefined if nothing is. */
export function labelNameError(name: string): string | undefined {
  if (name.length > labelLengthMax) return `must be no more than ${labelLengthMax} characters`;
  if (dns1123Label.test(name)) return undefined;
  return (
    `a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start ` +
    `and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is ` +
    `'[a-z0-9]([-a-z0-9]*[a-z0-9])?')`
  );
}

/** What is wrong with a key of a label, annotation or finalizer (`prefix/name`); undefined if nothing is. */
export function qualifiedNameError(key: string): string | undefined {
  const parts = key.split('/');
  const name = parts.at(-1) ?? '';
  if (parts.length > 2) {
    return (
      `a qualified name must consist of alphanumeric characters, '-', '_' or '.', ` +
      `with an optional DNS subdomain prefix and '/'`
    );
  }
  if (parts.length === 2) {
    if (parts[0] === '') return 'prefix part must be non-empty';
    const prefixError = subdomainError(parts[0] ?? '');
    if (prefixError !== undefined) return `prefix part ${prefixError}`;
  }
  if (name === '') return 'name part must be non-empty';
  if (name.length > labelLengthMax)
    return `name part must be no more than ${labelLengthMax} characters`;
  if (qualifiedName.test(name)) return undefined;
  return (
    `name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an ` +
    `alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is ` +
    `'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')`
  );
}

/** What is wrong with the value of a label; undefined if nothing is. */
export function labelValueError(value: string): string | undefined {
  if (value.length > labelLengthMax) return `must be no more than ${labelLengthMax} characters`;
  if (labelValue.test(value)) return undefined;
  return (
    `a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', ` +
    `and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', ` +
    `regex used for validation is ` +
    `'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')`
  );
}
