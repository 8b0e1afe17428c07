/** The OpenAPI document, generated from the schemas that requests and answers are checked with. */
import swagger from '@fastify/swagger';
import { otherPathRoles, otherPaths } from '@varve/contract/routes';
import type { FastifyInstance } from 'fastify';
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';

/** Collects the routes that are registered after it, and serves the document. */
export async function registerOpenapi(app: FastifyInstance, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Varve storage daemon',
        description: 'Volumes, snapshots and clones. Every call is idempotent.',
        version,
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      components: {
        securitySchemes: {
          token: { type: 'http', scheme: 'bearer' },
          // Of OpenAPI 3.1, whose types the package does not know.
          certificate: { type: 'mutualTLS' } as never,
        },
      },
      security: [{ token: [] }, { certificate: [] }],
    },
    // Both are needed: without the second, every reference to a named schema dangles.
    transform: jsonSchemaTransform,
    transformObject: jsonSchemaTransformObject,
  });
  app.get(
    otherPaths.openapi,
    { schema: { hide: true }, config: { roles: otherPathRoles.openapi } },
    async () => app.swagger(),
  );
}
