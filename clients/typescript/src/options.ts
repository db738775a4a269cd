/** Where the gateway is, and how patient its client is. */

/** What a client is made with. Times are in seconds. */
export interface ClientOptions {
  /** `http://HOST:PORT` or `https://HOST`. In Node MEDIAGATE_URL, else `http://127.0.0.1:4000`; on a page its origin. */
  url?: string;
  /** In Node MEDIAGATE_API_KEY. */
  key?: string;
  /** All calls act for this end user. */
  user?: string;
  /** How long a call may take that moves no content; 60. */
  timeoutS?: number;
  /** How often a call is repeated that failed in a way that repeating can mend; 2. Nothing is changed twice. */
  maxRetries?: number;
  /** Sent with every call. */
  headers?: Readonly<Record<string, string>>;
}

/** The same, complete and checked. */
export interface Options {
  readonly url: string;
  readonly key: string;
  readonly timeoutS: number;
  readonly maxRetries: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** Complete the options. Throws TypeError for those that cannot work. */
export function checked(given: ClientOptions, url: string | undefined, key: string | undefined): Options {
  const { timeoutS = 60, maxRetries = 2 } = given;
  if (!key) throw new TypeError("No key: give `key`, or set MEDIAGATE_API_KEY.");
  if (!/^[\x21-\x7e]+$/.test(key)) {
    throw new TypeError("The key has characters that no key has; was it pasted with a line break?");
  }
  if (!(timeoutS > 0)) throw new TypeError("`timeoutS` must be more than 0.");
  if (!(maxRetries >= 0)) throw new TypeError("`maxRetries` must not be negative.");
  const user = given.user ? { "x-mediagate-user": given.user } : {};
  return { url: baseUrl(url ?? ""), key, timeoutS, maxRetries, headers: { ...user, ...given.headers } };
}

/** The URL that paths such as `/v1/files` follow. */
function baseUrl(given: string): string {
  const parts = URL.canParse(given) ? new URL(given) : undefined;
  if (parts === undefined || !/^https?:$/.test(parts.protocol)) {
    throw new TypeError(
      `The URL ${JSON.stringify(given)} is none of a gateway's: write it as http://HOST:PORT or https://HOST.`,
    );
  }
  if (parts.search || parts.hash || parts.username) {
    throw new TypeError("The gateway's URL has neither query nor user name; the key is an option of its own.");
  }
  return (parts.origin + parts.pathname).replace(/\/+$/, "").replace(/\/v1$/, "");
}

/** Headers of a call. Their bytes are UTF-8, which neither `fetch` nor Node would write by themselves. */
export function headersOf(options: Options, more: Readonly<Record<string, string>> = {}): Record<string, string> {
  const given = { authorization: `Bearer ${options.key}`, ...options.headers, ...more };
  const bytes = (text: string) => String.fromCharCode(...new TextEncoder().encode(text));
  return Object.fromEntries(Object.entries(given).map(([name, value]) => [name.toLowerCase(), bytes(value)]));
}
