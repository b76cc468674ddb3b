// js-libp2p as a peer: dials the address given, gossips on the topic given, and says what it hears.
import './node20.mjs'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { gossipsub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'

const [address, topic] = process.argv.slice(2)
const bytes = (text) => new TextEncoder().encode(text)
const node = await createLibp2p({
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  services: { identify: identify(), ping: ping(), pubsub: gossipsub({ allowPublishToZeroTopicPeers: true }) }
})
node.services.pubsub.addEventListener('message', ({ detail }) => {
  const text = new TextDecoder().decode(detail.data)
  if (text === '\0from us') console.log('heard from us')
})
node.services.pubsub.subscribe(topic)
await node.dial(multiaddr(address))
console.log(`pinged ${(await node.services.ping.ping(multiaddr(address))) < 5000}`)
setInterval(() => node.services.pubsub.publish(topic, bytes('\0from js')), 200)
