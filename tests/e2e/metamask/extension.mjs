// What the browser is to MetaMask: requests with an extension's origin, their preflights, and answers it may not read otherwise.
import assert from 'node:assert/strict'

export const ORIGIN = 'chrome-extension://nkbihfbeogaeaoehlefnkodbfgpgknn'

/** `fetch` as the extension's pages have it; every method that was called is noted. */
export function browserFetch(called) {
  return async (url, init = {}) => {
    const asked = JSON.parse(init.body)
    for (const { method } of [asked].flat()) called.set(method, (called.get(method) ?? 0) + 1)
    const response = await fetch(url, { ...init, headers: { ...Object.fromEntries(new Headers(init.headers)), origin: ORIGIN } })
    const allowed = response.headers.get('access-control-allow-origin')
    if (![ORIGIN, '*'].includes(allowed)) throw new TypeError(`the browser keeps the answer back: CORS allows ${allowed}`)
    return response
  }
}

/** The preflight that a browser sends before a POST of JSON, also for a private network. */
export async function preflight(url) {
  const response = await fetch(url, {
    method: 'OPTIONS',
    headers: {
      origin: ORIGIN, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type',
      'access-control-request-private-network': 'true',
    },
  })
  const told = (name) => response.headers.get(`access-control-allow-${name}`) ?? ''
  assert.ok(response.ok, `${response.status}`)
  assert.ok([ORIGIN, '*'].includes(told('origin')), told('origin'))
  assert.match(told('methods'), /POST/)
  assert.match(told('headers').toLowerCase(), /content-type|\*/)
  return told('private-network')
}
