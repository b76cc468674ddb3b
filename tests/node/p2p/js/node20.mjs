// js-libp2p 3 wants Node 22; this is what it misses in Node 20.
Promise.withResolvers ??= () => {
  const promised = {}
  promised.promise = new Promise((resolve, reject) => Object.assign(promised, { resolve, reject }))
  return promised
}
