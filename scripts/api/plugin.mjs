// What TypeDoc does not see by itself.
import { Converter, IndexedAccessType, LiteralType, ReflectionKind, UnionType } from 'typedoc'

export function load(app) {
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, (context) => {
    const checker = context.programs[0].getTypeChecker()
    for (const alias of context.project.getReflectionsByKind(ReflectionKind.TypeAlias))
      nameWords(context, checker, alias)
    for (const property of context.project.getReflectionsByKind(ReflectionKind.Property)) explain(context, property)
  })
}

/** A type such as `(typeof OVERFLOWS)[number]` says nothing to a reader: shows the words it stands for, in their order. */
function nameWords(context, checker, alias) {
  if (!(alias.type instanceof IndexedAccessType)) return
  const [declaration] = context.getSymbolFromReflection(alias).declarations
  const words = checker.getTypeArguments(checker.getTypeAtLocation(declaration.type.objectType))
  alias.type = new UnionType(words.map((word) => new LiteralType(word.value)))
}

/** A property that an interface picks from a class, where it is a getter, is described there. */
function explain(context, property) {
  if (property.comment !== undefined) return
  const owner = context.getSymbolFromReflection(property)?.declarations?.[0]?.parent.symbol
  const picked = owner && context.getReflectionFromSymbol(owner)?.getChildByName(property.name)
  property.comment = picked?.getSignature?.comment?.clone()
}
