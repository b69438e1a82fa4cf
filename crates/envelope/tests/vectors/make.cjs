// Makes javascript-sdk.json, as make.py makes python-sdk.json: messages of every algorithm suite, by AWS's SDK for JavaScript.
//
//     npm install @aws-crypto/client-node@5.0.2 && node make.cjs > javascript-sdk.json

const {
  AlgorithmSuiteIdentifier,
  CommitmentPolicy,
  RawAesKeyringNode,
  RawAesWrappingSuiteIdentifier,
  buildClient,
} = require('@aws-crypto/client-node')

const CONTEXT = { purpose: 'test vectors', 'ключ': 'значение', a: '' }

const keyring = new RawAesKeyringNode({
  keyName: 'vectors',
  keyNamespace: 'keytrail',
  // In memory of its own, as the SDK demands of a key.
  unencryptedMasterKey: new Uint8Array(Array.from({ length: 32 }, (_, index) => index)),
  wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
})

async function vector(suiteId, length, frameLength, context) {
  const policy = suiteId >= 0x0400 ? 'REQUIRE_ENCRYPT_REQUIRE_DECRYPT' : 'FORBID_ENCRYPT_ALLOW_DECRYPT'
  const { encrypt } = buildClient(CommitmentPolicy[policy])
  const data = Buffer.from(Array.from({ length }, (_, index) => index % 251))
  const { result } = await encrypt(keyring, data, { suiteId, frameLength, encryptionContext: context })
  return {
    suite: '0x' + suiteId.toString(16).padStart(4, '0'),
    length,
    frame_length: frameLength,
    context,
    message: result.toString('base64'),
  }
}

async function main() {
  const vectors = []
  const suites = Object.values(AlgorithmSuiteIdentifier).filter((id) => typeof id === 'number')
  for (const suite of suites.sort((one, other) => one - other)) {
    vectors.push(await vector(suite, 300, 128, CONTEXT))
  }
  for (const length of [0, 1, 127, 128, 129, 256]) vectors.push(await vector(0x0578, length, 128, {}))
  console.log(JSON.stringify(vectors, null, 1))
}

main()
