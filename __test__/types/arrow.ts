// What the compiler knows of Arrow tables. Nothing here runs.
import type { Float64, Int32, Table } from 'apache-arrow'
import { expectTypeOf } from 'expect-type'
import type { BufferPtr, PortQueue, ShmManager } from '../../index.js'
import { arrowCodec, tableOf, writeTable } from '../../arrow.js'

type Ticks = { price: Float64; volume: Int32 }
declare const shm: ShmManager
declare const message: BufferPtr
declare const ticks: Table<Ticks>

export function check(): void {
  expectTypeOf(shm.portQueue('ticks', { codec: arrowCodec })).toEqualTypeOf<PortQueue<Table>>()
  expectTypeOf(writeTable(shm, ticks)).toEqualTypeOf<BufferPtr>()
  expectTypeOf(writeTable(shm.allocator, ticks.batches[0]!)).toEqualTypeOf<BufferPtr>()
  expectTypeOf(tableOf<Ticks>(message)).toEqualTypeOf<Table<Ticks>>()
  expectTypeOf(tableOf(message)).toExtend<Table>()
  // @ts-expect-error an array is no table
  writeTable(shm, [1, 2])
}
